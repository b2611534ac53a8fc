"""The code: fetched by git into a mirror, laid out for a build."""
