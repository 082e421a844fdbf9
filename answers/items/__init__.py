"""Items of a tenant: present ones and missing ones."""
