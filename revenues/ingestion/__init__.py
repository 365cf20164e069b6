"""Taking in revenue at speed: decoding bodies, resolving references, writing in sets."""
