"""Says hello, and counts how often it did."""

from itertools import count

from flask import Flask, jsonify, request

app = Flask(__name__)
greetings = count(1)


@app.get("/")
def hello():
    name = request.args.get("name", "world")
    return f"Hello, {name}!\n"


@app.get("/count")
def counted():
    return jsonify(greetings=next(greetings))


@app.get("/healthz")
def healthz():
    return "ok\n"
