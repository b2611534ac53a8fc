"""What a request goes through: code repositories, topics, queues, the table."""
