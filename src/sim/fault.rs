//! The faults that can be asked for, by name, and for how many requests each lasts.

use std::fmt;
use std::str::FromStr;

use super::error::ApiError;

/// Where in the life of a request a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Any request, on the connection's side.
    Connection,
    /// Any request, refused for its key.
    Key,
    /// `POST /v1/messages`, refused.
    Refused,
    /// `POST /v1/messages` with an answer that is streamed.
    Stream,
}

macro_rules! faults {
    ($($variant:ident $name:literal $stage:ident $help:literal,)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $(#[doc = $help] $variant,)*
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Fault] = &[$(Fault::$variant,)*];

            /// The name on the command line and in the log.
            pub fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name,)* }
            }

            /// One line for people.
            pub fn help(self) -> &'static str {
                match self { $(Fault::$variant => $help,)* }
            }

            /// Where it strikes.
            pub fn stage(self) -> Stage {
                match self { $(Fault::$variant => Stage::$stage,)* }
            }
        }
    };
}

faults! {
    Auth "auth" Key "401 for every path, whatever the key",
    Permission "permission" Key "403 for every path",
    Billing "billing" Refused "402, no credit",
    TooLarge "too-large" Refused "413",
    RateLimit "rate-limit" Refused "429 with `retry-after: 30`",
    RateLimitShort "rate-limit-short" Refused "429 with `retry-after-ms: 200`, once unless a count is given",
    SpendCap "spend-cap" Refused "429 without `retry-after`: the month's limit is spent",
    ServerError "server-error" Refused "500",
    Unavailable "unavailable" Refused "503",
    Timeout "timeout" Refused "504",
    Overloaded "overloaded" Refused "529",
    CutBeforeHeaders "cut-before-headers" Refused "the connection is dropped before the response's headers",
    Cut "cut" Stream "the connection is dropped in the middle of the answer",
    Stall "stall" Stream "the answer stops in the middle and the connection stays open",
    OverloadedMidStream "overloaded-mid-stream" Stream "200, half an answer, then an `error` event",
    SlowFirst "slow-first" Stream "the first text comes after 10 s",
    Refusal "refusal" Stream "stop reason `refusal` after half a sentence",
    MaxTokens "max-tokens" Stream "stop reason `max_tokens` in the middle of a sentence",
    PingFlood "ping-flood" Stream "twenty pings between any two events",
    UnknownEvents "unknown-events" Stream "event types, delta types and comments that no client knows",
    Bom "bom" Stream "a byte-order mark before the first event",
    Crlf "crlf" Stream "lines end in CR LF",
    SplitUtf8 "split-utf8" Stream "chunks of one to three bytes, in the middle of characters",
    Goaway "goaway" Connection "the connection is closed in order (GOAWAY) after the response",
    GoawayEarly "goaway-early" Connection "the connection is closed in order (GOAWAY) while the request is under way, which is still answered",
    IdleDrop "idle-drop" Connection "after the response the connection goes silent without being closed, as behind a home router",
}

impl Fault {
    /// The refusal, for those of stage [`Stage::Key`] and [`Stage::Refused`] that answer at all.
    pub fn refusal(self) -> Option<ApiError> {
        let error = ApiError::new;
        Some(match self {
            Fault::Auth => error(401, "authentication_error", "invalid x-api-key").header("x-should-retry", "false"),
            Fault::Permission => {
                error(403, "permission_error", "Your API key does not have permission to use the specified resource.")
            }
            Fault::Billing => error(
                402,
                "billing_error",
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
            ),
            Fault::TooLarge => error(413, "request_too_large", "Request exceeds the maximum size"),
            Fault::RateLimit => rate_limited().header("retry-after", "30").header("x-should-retry", "true"),
            Fault::RateLimitShort => rate_limited().header("retry-after-ms", "200").header("x-should-retry", "true"),
            Fault::SpendCap => {
                let message = "You have reached your specified API usage limits. You will regain access next month.";
                let capped = error(429, "rate_limit_error", message).header("x-should-retry", "false");
                ApiError { code: Some("enforced_spend_limit_reached"), ..capped }
            }
            Fault::ServerError => error(500, "api_error", "Internal server error").header("x-should-retry", "true"),
            Fault::Unavailable => error(503, "api_error", "Service unavailable").header("x-should-retry", "true"),
            Fault::Timeout => error(504, "timeout_error", "Request timed out").header("x-should-retry", "true"),
            Fault::Overloaded => error(529, "overloaded_error", "Overloaded").header("x-should-retry", "true"),
            _ => return None,
        })
    }
}

fn rate_limited() -> ApiError {
    ApiError::new(429, "rate_limit_error", "This request would exceed your organization's rate limit.")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A fault and the number of requests that it still strikes (`None`: all of them). Written `NAME` or `NAME:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// Which.
    pub fault: Fault,
    /// How often yet.
    pub remaining: Option<u32>,
}

impl FaultPlan {
    /// Strikes every request.
    pub fn always(fault: Fault) -> Self {
        Self { fault, remaining: None }
    }

    /// Strikes the next `count` requests.
    pub fn times(fault: Fault, count: u32) -> Self {
        Self { fault, remaining: Some(count) }
    }
}

impl FromStr for FaultPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, count) = match text.split_once(':') {
            Some((name, count)) => {
                let count = count.parse().map_err(|_| format!("`{count}` after the fault's name is not a number"))?;
                (name, Some(count))
            }
            None => (text, None),
        };
        let Some(&fault) = Fault::ALL.iter().find(|f| f.name() == name) else {
            let names: Vec<_> = Fault::ALL.iter().map(|f| f.name()).collect();
            return Err(format!("no fault is called `{name}`; there are {}", names.join(", ")));
        };
        let once = (fault == Fault::RateLimitShort).then_some(1);
        Ok(Self { fault, remaining: count.or(once) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_by_name_and_count() {
        assert_eq!("cut".parse(), Ok(FaultPlan::always(Fault::Cut)));
        assert_eq!("overloaded:2".parse(), Ok(FaultPlan::times(Fault::Overloaded, 2)));
        assert_eq!("rate-limit-short".parse(), Ok(FaultPlan::times(Fault::RateLimitShort, 1)));
        assert!("flood".parse::<FaultPlan>().unwrap_err().contains("ping-flood"));
        assert!("cut:x".parse::<FaultPlan>().is_err());
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse::<FaultPlan>().unwrap().fault, *fault);
        }
    }

    #[test]
    fn only_a_spend_cap_is_a_429_without_a_time_to_come_back() {
        let waits = |f: Fault| f.refusal().unwrap().headers.iter().any(|(n, _)| n.starts_with("retry-after"));
        assert!(waits(Fault::RateLimit) && waits(Fault::RateLimitShort) && !waits(Fault::SpendCap));
    }
}
