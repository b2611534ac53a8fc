"""What verbs ask of AWS: session, credentials, hosts, tips, past deployments, following one."""
