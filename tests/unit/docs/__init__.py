"""What `README.md` and the pages of docs/ say is so: links, commands, targets, paths, sections."""
