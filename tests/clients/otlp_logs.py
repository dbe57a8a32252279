"""Sends NUMBER log records with OpenTelemetry's own exporter (protobuf, gzip) and says how many were given to it.

    python tests/clients/otlp_logs.py http://127.0.0.1:8080 1000 [TOKEN]
"""

import logging
import sys

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

url, number, *token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token[0]}"} if token else None
exporter = OTLPLogExporter(endpoint=f"{url}/v1/logs", headers=headers, compression=Compression.Gzip)
provider = LoggerProvider(resource=Resource({"service.name": "client", "host.name": "client"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=max(int(number), 2048)))
logger = logging.getLogger("client")
logger.propagate = False
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=provider))
for n in range(int(number)):
    logger.warning("otlp %d", n, extra={"client.address": "198.51.100.7"})
provider.shutdown()
print(f"sent {number}")
