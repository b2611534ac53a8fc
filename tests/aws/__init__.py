"""What AWS can be asked and can answer, by botocore's model of the pinned version."""
