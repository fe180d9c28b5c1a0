"""Reading Volt: which pages to read, and when a walk is complete. Knows no database."""
