"""The `servicetime` command: one module a group of subcommands, imported only when called."""
