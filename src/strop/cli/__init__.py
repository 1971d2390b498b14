"""The command line: one file per command (parse, call, print), and what they share.

A command is a module with a docstring (its help), `EXAMPLES`, `add(parser)` and `run(args) -> exit code`. stdout is
for data, stderr for messages. Nothing here imports torch or transformers before a command needs them.
"""
