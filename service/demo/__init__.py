"""The demonstration: everything on this machine, and a verdict on whether it did what it promises."""
