"""``mode="vendor"``: jobs as files of requests that the vendor runs within a day, at half the price."""
