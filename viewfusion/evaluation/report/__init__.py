def write_report(path, folders):
    path.write_text("x")
