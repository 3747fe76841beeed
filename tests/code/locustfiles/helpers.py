"""A module that a locustfile imports from its own folder."""


def account(name):
    return {"name": name, "password": name.replace("user", "password")}
