"""One module a command: its arguments, the one function that it calls, what it prints."""
