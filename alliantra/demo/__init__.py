"""A demo workspace: two years of a made-up company that earns through partners, the same every time."""
