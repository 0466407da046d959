internal import CLI
internal import Linux

// Roles are told apart before anything is parsed; so far there is one, the command line. What needs neither a task nor
// a parser is answered first. No `await` here: it would start the concurrency runtime's own threads.
_ = Machine.startNanoseconds
let arguments = Array(CommandLine.arguments.dropFirst())
if let code = answerAtOnce(arguments) { Machine.exit(code) }
// The first task makes threads, and a process with threads can't enter a user namespace.
if touchesStore(arguments) { UserNamespace.enter() }
BlockingPool.runMain {
  Machine.exit(await runCLI(arguments: arguments, environment: Machine.environment))
}
