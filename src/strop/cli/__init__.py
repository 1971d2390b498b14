"""The command line: one file per command (parse, call, print), and what they share.

A command is a module with a docstring (its help), `EXAMPLES`, `add(parser)` and `run(args) -> exit code`. stdout is
data, stderr is talk. Nothing here imports torch or transformers before a command needs them.
"""
