"""Who may do what: statements, roles, names, the policies for people, the key."""
