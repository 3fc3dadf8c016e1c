"""The commands beside `ask`: each module has `main(argv) -> exit code`."""
