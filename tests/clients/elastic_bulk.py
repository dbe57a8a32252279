"""Sends NUMBER documents in bulk with Elastic's own client and says how many were acknowledged.

    python tests/clients/elastic_bulk.py http://127.0.0.1:8080 1000 [TOKEN]
"""

import sys

from elasticsearch import Elasticsearch
from elasticsearch.helpers import streaming_bulk

url, number, *token = sys.argv[1:]
client = Elasticsearch(url, http_compress=True, api_key=token[0] if token else None)
client.info()
documents = (
    {"_op_type": "create", "_index": "logs", "@timestamp": "2026-11-22T10:00:00Z", "message": f"elastic {n}", "host": {"name": "client"}}
    for n in range(int(number))
)
acknowledged = sum(ok for ok, _ in streaming_bulk(client, documents, max_retries=8, raise_on_error=False))
print(f"acknowledged {acknowledged}")
