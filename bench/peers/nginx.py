"""nginx that answers every request with the same text from its configuration."""
import os

from harness.process import DATA, Daemon, answers, free_port, wait_until


class Nginx(Daemon):
    """`return 200` with a body of the length of ours; a worker per core, no access log."""

    def __init__(self, body):
        self.port = free_port()
        folder = DATA / "nginx"
        folder.mkdir(parents=True, exist_ok=True)
        text = body.replace("\\", "").replace("'", "").replace("$", "")
        config = folder / "nginx.conf"
        config.write_text(f"""daemon off;
worker_processes {os.cpu_count()};
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  default_type application/json;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 '{text}'; }} }}
}}
""")
        super().__init__(["nginx", "-e", folder / "error.log", "-c", config], folder / "log")
        wait_until(lambda: answers(self.port), 10, "nginx")
