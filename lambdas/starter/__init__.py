"""A build request becomes a want, and a host that starts."""
