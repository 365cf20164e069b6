"""HTTP plumbing for both surfaces: no models, no business words."""
