"""How does somebody log in? One plain page; its script sends name and password to the API, which sets the cookie."""

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · pumpwatch</title>
<link rel="stylesheet" href="/static/board.css">
</head>
<body class="login">
<main>
<h1>pumpwatch</h1>
<p class="simulation">Simulation, not for clinical use</p>
<form id="login" novalidate>
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<p id="problem" role="alert" aria-live="assertive"></p>
<button type="submit">Log in</button>
</form>
<p>No password yet? An administrator can make a link that lets you in once.</p>
</main>
<noscript><p>This page needs JavaScript.</p></noscript>
<script src="/static/login.js"></script>
</body>
</html>
"""
