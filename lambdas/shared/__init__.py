"""What the functions share: clients, SNS's envelopes, logs and metrics."""
