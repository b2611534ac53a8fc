"""What watches: alarms and the dashboard."""
