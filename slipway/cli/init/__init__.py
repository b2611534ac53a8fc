"""What `slipway init` asks of people and of the account, and the file that it writes."""
