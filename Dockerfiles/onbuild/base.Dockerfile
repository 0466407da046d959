FROM busybox
ONBUILD COPY message /app/message
ONBUILD RUN echo triggered > /app/stamp
