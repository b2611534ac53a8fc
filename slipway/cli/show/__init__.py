"""How answers are printed and drawn: lines, tables, the live view, plots."""
