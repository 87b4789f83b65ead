"""What is wrong here, and what is to be done? Looks at everything that one process can see, and changes nothing."""
