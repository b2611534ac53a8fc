"""What crosses a process boundary: messages, rows, settings, names, errors. No dependencies."""
