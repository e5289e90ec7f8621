//! The models that the simulated API serves, and what each accepts.

use serde_json::{Value, json};

/// Facts of one model.
#[derive(Debug)]
pub struct Model {
    /// The id that replies carry.
    pub id: &'static str,
    /// Another id that requests may name.
    alias: &'static str,
    name: &'static str,
    created_at: &'static str,
    /// Smallest prefix that is cached, in tokens.
    pub cache_floor: u64,
    /// Tokens for one hundred pieces of text.
    pub token_percent: u64,
    /// Context window, in tokens.
    pub context: u64,
    /// Largest `max_tokens`.
    pub max_output: u64,
    /// The 5.5 family: adaptive thinking on unless it is disabled, effort, and neither sampling parameters nor
    /// prefill nor `budget_tokens`.
    pub adaptive: bool,
}

const MODELS: [Model; 2] = [
    Model {
        id: "claude-haiku-5-5",
        alias: "claude-haiku-5-5",
        name: "Claude Haiku 5.5",
        created_at: "2026-09-01T00:00:00Z",
        cache_floor: 512,
        token_percent: 130,
        context: 200_000,
        max_output: 64_000,
        adaptive: true,
    },
    Model {
        id: "claude-haiku-4-5-20251001",
        alias: "claude-haiku-4-5",
        name: "Claude Haiku 4.5",
        created_at: "2025-10-15T00:00:00Z",
        cache_floor: 4096,
        token_percent: 100,
        context: 200_000,
        max_output: 64_000,
        adaptive: false,
    },
];

/// The model of that id or alias.
pub fn find(id: &str) -> Option<&'static Model> {
    MODELS.iter().find(|m| m.id == id || m.alias == id)
}

/// Body of `GET /v1/models`.
pub fn list() -> Value {
    let data: Vec<Value> = MODELS.iter().map(Model::info).collect();
    json!({ "data": data, "has_more": false, "first_id": MODELS[0].id, "last_id": MODELS[MODELS.len() - 1].id })
}

impl Model {
    /// Body of `GET /v1/models/{id}`.
    pub fn info(&self) -> Value {
        let yes_no = |supported: bool| json!({ "supported": supported });
        let effort = yes_no(self.adaptive);
        json!({
            "type": "model",
            "id": self.id,
            "display_name": self.name,
            "created_at": self.created_at,
            "lifecycle": "active",
            "line": "haiku",
            "deprecated_at": null,
            "retires_at": null,
            "max_input_tokens": self.context,
            "max_tokens": self.max_output,
            "capabilities": {
                "batch": yes_no(false),
                "citations": yes_no(false),
                "code_execution": yes_no(false),
                "context_management": yes_no(false),
                "effort": { "supported": self.adaptive, "low": effort, "medium": effort, "high": effort,
                            "xhigh": effort, "max": effort },
                "image_input": yes_no(true),
                "pdf_input": yes_no(true),
                "server_tools": { "supported": false, "web_search": yes_no(false), "code_execution": yes_no(false) },
                "structured_outputs": yes_no(false),
                "thinking": { "supported": true, "types": {
                    "adaptive": yes_no(self.adaptive), "between_tools": yes_no(false),
                    "disabled": yes_no(true), "enabled": yes_no(!self.adaptive) } },
            },
        })
    }
}
