"""The program on a build host: `assemble` puts it together, `worker` is its story."""
