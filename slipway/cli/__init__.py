"""The command line: `main` finds the verb, `verbs/` holds a file for each."""
