internal import CLI
internal import Linux

// Roles are told apart before anything is parsed; so far there is one, the command line.
Machine.exit(
  await runCLI(arguments: Array(CommandLine.arguments.dropFirst()), environment: Machine.environment))
