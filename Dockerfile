# smhub with its bundled plugins. `docker build -t smhub .`
FROM python:3.11-slim AS builder
WORKDIR /build
RUN ["python", "-m", "venv", "/opt/smhub"]
COPY requirements/run.txt requirements/run.txt
RUN ["/opt/smhub/bin/python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--require-hashes", "-r", "requirements/run.txt"]
COPY pyproject.toml README.md ./
COPY src src
COPY migrations migrations
COPY plugins plugins
RUN ["/opt/smhub/bin/python", "-m", "pip", "wheel", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "-w", "wheels", ".", "./plugins/smhub-bluesky", "./plugins/smhub-feeds", "./plugins/smhub-mail", "./plugins/smhub-mastodon", "./plugins/smhub-matrix", "./plugins/smhub-monitoring", "./plugins/smhub-simulator", "./plugins/smhub-telegram", "./plugins/smhub-webhook"]
RUN ["/opt/smhub/bin/python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--no-index", "--find-links", "wheels", "smhub", "smhub-bluesky", "smhub-feeds", "smhub-mail", "smhub-mastodon", "smhub-matrix", "smhub-monitoring", "smhub-simulator", "smhub-telegram", "smhub-webhook"]

FROM python:3.11-slim
COPY --from=builder /opt/smhub /opt/smhub
RUN ["useradd", "--system", "--uid", "10001", "--user-group", "--no-create-home", "--home-dir", "/data", "--shell", "/usr/sbin/nologin", "smhub"]
RUN ["install", "-d", "-o", "smhub", "-g", "smhub", "-m", "0700", "/data"]
ENV PATH=/opt/smhub/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SMHUB_HOST=0.0.0.0 \
    SMHUB_DATABASE_URL=sqlite:////data/smhub.db
# Everything else may be read-only: `docker run --read-only --tmpfs /tmp -v smhub:/data smhub`.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["smhub", "healthy"]
ENTRYPOINT ["smhub"]
CMD ["serve"]
