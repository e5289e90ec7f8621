"""The official Python SDK against the simulated API, with the SDK's own defaults and no special treatment.

Run by tests/sim_sdk.rs with the base URLs as one JSON object in ELIO_SIMS: "plain", "keyed" (only the key "right"
comes in) and one for each fault. SSL_CERT_FILE names the authority to trust.
"""

import asyncio
import json
import os
import socket
import ssl
import unittest
from urllib.parse import urlparse

import anthropic
import httpx2

SIMS = json.loads(os.environ["ELIO_SIMS"])
MODEL = "claude-haiku-5-5"
ASK = {"model": MODEL, "max_tokens": 300, "messages": [{"role": "user", "content": "tell me a joke"}]}
QUIET = {**ASK, "thinking": {"type": "disabled"}}
RULES = "Answer in one short sentence first, and then in plain words that a voice can say. " * 40
CACHED = {**QUIET, "system": [{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}]}


def client(name="plain", key="any", **options):
    return anthropic.Anthropic(api_key=key, base_url=SIMS[name], **options)


def stream(name="plain", request=QUIET, **options):
    """Deltas of text, and the final message."""
    with client(name, **options).messages.stream(**request) as events:
        deltas = list(events.text_stream)
        return deltas, events.get_final_message()


class Streams(unittest.TestCase):
    def test_text_comes_in_deltas_and_adds_up(self):
        deltas, message = stream()
        self.assertGreater(len(deltas), 10)
        self.assertEqual([b.type for b in message.content], ["text"])
        self.assertEqual("".join(deltas), message.content[0].text)
        self.assertTrue(message.content[0].text.startswith("Here is one."))
        self.assertEqual((message.stop_reason, message.model, message.role), ("end_turn", MODEL, "assistant"))
        self.assertTrue(message.id.startswith("msg_"))
        self.assertGreater(message.usage.output_tokens, len(deltas))

    def test_the_model_thinks_unless_told_not_to(self):
        _, message = stream(request=ASK)
        self.assertEqual([b.type for b in message.content], ["thinking", "text"])
        self.assertTrue(message.content[0].signature)
        self.assertGreater(message.usage.output_tokens_details.thinking_tokens, 0)

    def test_the_same_without_a_stream(self):
        whole = client().messages.create(**QUIET)
        self.assertEqual(whole.content[0].text, stream()[1].content[0].text)
        self.assertTrue(whole._request_id.startswith("req_"))

    def test_every_event_is_typed(self):
        kinds = [e.type for e in client().messages.create(**QUIET, stream=True)]
        self.assertEqual((kinds[0], kinds[-2:]), ("message_start", ["message_delta", "message_stop"]))

    def test_stop_reasons(self):
        self.assertEqual(stream(request={**QUIET, "max_tokens": 8})[1].stop_reason, "max_tokens")
        stopped = client().messages.create(**QUIET, stop_sequences=["clock"])
        self.assertEqual((stopped.stop_reason, stopped.stop_sequence), ("stop_sequence", "clock"))

    def test_the_asynchronous_client(self):
        async def ask():
            async with anthropic.AsyncAnthropic(api_key="any", base_url=SIMS["plain"]) as talk:
                async with talk.messages.stream(**QUIET) as events:
                    return await events.get_final_text()

        self.assertEqual(asyncio.run(ask()), stream()[1].content[0].text)

    def test_what_the_wire_may_do_changes_nothing(self):
        wanted = stream()[1].content[0].text
        for fault in ["crlf", "split-utf8", "ping-flood"]:
            with self.subTest(fault):
                self.assertEqual(stream(fault)[1].content[0].text, wanted)


class Usage(unittest.TestCase):
    def test_the_cache_is_written_then_read_and_adds_up(self):
        total = client().messages.count_tokens(
            model=MODEL, system=CACHED["system"], messages=CACHED["messages"], thinking=CACHED["thinking"]
        ).input_tokens
        first, second = stream(request=CACHED)[1].usage, stream(request=CACHED)[1].usage
        self.assertGreaterEqual(first.cache_creation_input_tokens, 512)
        self.assertEqual(first.cache_read_input_tokens, 0)
        self.assertEqual(first.cache_creation.ephemeral_5m_input_tokens, first.cache_creation_input_tokens)
        self.assertEqual(second.cache_read_input_tokens, first.cache_creation_input_tokens)
        self.assertEqual(second.cache_creation_input_tokens, 0)
        for usage in (first, second):
            parts = (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
            self.assertEqual(sum(parts), total)

    def test_warming_bills_no_output(self):
        rules = [{**CACHED["system"][0], "text": "Warm. " + RULES}]
        warm = client().messages.create(**{**CACHED, "system": rules, "max_tokens": 0})
        self.assertEqual((warm.content, warm.usage.output_tokens), ([], 0))
        read = client().messages.create(**{**CACHED, "system": rules})
        self.assertEqual(read.usage.cache_read_input_tokens, warm.usage.cache_creation_input_tokens)

    def test_below_the_floor_nothing_is_cached(self):
        short = [{**CACHED["system"][0], "text": "Be brief."}]
        for _ in range(2):
            usage = client().messages.create(**{**CACHED, "system": short}).usage
            self.assertEqual((usage.cache_creation_input_tokens, usage.cache_read_input_tokens), (0, 0))

    def test_the_same_text_counts_more_on_the_newer_model(self):
        count = client().messages.count_tokens
        new, old = (count(model=m, messages=[{"role": "user", "content": RULES}]) for m in (MODEL, "claude-haiku-4-5"))
        self.assertAlmostEqual(new.input_tokens / old.input_tokens, 1.3, places=2)

    def test_models(self):
        model = client().models.retrieve(MODEL)
        self.assertEqual((model.id, model.lifecycle, model.line), (MODEL, "active", "haiku"))
        self.assertTrue(model.capabilities.thinking.types.adaptive.supported)
        self.assertIn(MODEL, [m.id for m in client().models.list()])


class Errors(unittest.TestCase):
    def refused(self, kind, status, name="plain", request=QUIET, key="any", **options):
        options.setdefault("max_retries", 0)
        with self.assertRaises(kind) as caught:
            client(name, key, **options).messages.create(**request)
        self.assertEqual(caught.exception.status_code, status)
        self.assertTrue(caught.exception.request_id.startswith("req_"))
        return caught.exception

    def test_the_key(self):
        error = self.refused(anthropic.AuthenticationError, 401, "keyed", key="wrong")
        self.assertEqual(error.type, "authentication_error")
        self.assertTrue(client("keyed", "right").messages.create(**QUIET).content)

    def test_the_model(self):
        error = self.refused(anthropic.NotFoundError, 404, request={**QUIET, "model": "claude-nothing"})
        self.assertEqual(error.api_message, "model: claude-nothing")
        with self.assertRaises(anthropic.NotFoundError):
            client().models.retrieve("claude-nothing")

    def test_requests_that_the_api_does_not_take(self):
        prefill = QUIET["messages"] + [{"role": "assistant", "content": "Well"}]
        budget = {"type": "enabled", "budget_tokens": 1024}
        empty = [{"role": "user", "content": ""}]
        for change in [
            {"messages": prefill}, {"messages": empty}, {"extra_body": {"temperature": 0.3}}, {"extra_body": {"top_k": 5}},
            {"thinking": budget, "max_tokens": 2000}, {"output_config": {"effort": "max"}}, {"max_tokens": -1},
        ]:
            with self.subTest(change):
                error = self.refused(anthropic.BadRequestError, 400, request={**QUIET, **change})
                self.assertEqual(error.type, "invalid_request_error")

    def test_errors_of_the_service_are_typed(self):
        for fault, kind, status in [
            ("billing", anthropic.PaymentRequiredError, 402),
            ("permission", anthropic.PermissionDeniedError, 403),
            ("too-large", anthropic.ContentTooLargeError, 413),
            ("rate-limit", anthropic.RateLimitError, 429),
            ("server-error", anthropic.InternalServerError, 500),
            ("unavailable", anthropic.ServiceUnavailableError, 503),
            ("timeout", anthropic.GatewayTimeoutError, 504),
            ("overloaded", anthropic.OverloadedError, 529),
        ]:
            with self.subTest(fault):
                self.refused(kind, status, fault)

    def test_a_spend_cap_is_not_asked_again(self):
        error = self.refused(anthropic.RateLimitError, 429, "spend-cap", max_retries=2)
        self.assertEqual(error.error_code, "enforced_spend_limit_reached")
        self.assertNotIn("retry-after", error.response.headers)

    def test_passing_faults_are_retried_by_default(self):
        for fault in ["rate-limit-short", "overloaded:1", "cut-before-headers:1"]:
            with self.subTest(fault):
                response = client(fault).messages.with_raw_response.create(**QUIET)
                self.assertEqual(response.retries_taken, 1)
                self.assertTrue(response.parse().content)

    def test_faults_inside_a_stream(self):
        with self.assertRaises(anthropic.APIStatusError) as caught:
            stream("overloaded-mid-stream")
        self.assertEqual(caught.exception.type, "overloaded_error")
        with self.assertRaises(httpx2.RemoteProtocolError):
            stream("cut")
        refused = stream("refusal")[1]
        self.assertEqual((refused.stop_reason, refused.stop_details.type), ("refusal", "refusal"))


class Transport(unittest.TestCase):
    def test_a_client_as_strict_as_python_3_13(self):
        context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        context.set_alpn_protocols(["h2", "http/1.1"])
        url = urlparse(SIMS["plain"])
        for name in (url.hostname, "localhost"):
            with socket.create_connection((url.hostname, url.port)) as raw:
                with context.wrap_socket(raw, server_hostname=name) as tls:
                    self.assertEqual((tls.version(), tls.selected_alpn_protocol()), ("TLSv1.3", "h2"))


if __name__ == "__main__":
    unittest.main()
