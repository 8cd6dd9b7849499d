"""The farm behind the records: its plan and the lives of its fish. The lake alone has these tables."""
