internal import CLI
internal import Linux

// Roles are told apart before anything is parsed; so far there is one, the command line.
let arguments = Array(CommandLine.arguments.dropFirst())
// The first await makes threads, and a process with threads can't enter a user namespace.
if touchesStore(arguments) { UserNamespace.enter() }
Machine.exit(await runCLI(arguments: arguments, environment: Machine.environment))
