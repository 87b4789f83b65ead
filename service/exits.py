"""What does an exit code say?"""

EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE = 0, 1, 2
