"""What needs a browser: run by `make screenshots`, not by `make test`."""
