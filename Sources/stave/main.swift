internal import CLI

await runMain()
