//! The handle to Whisper and the thread behind it.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::engine::{Engine, RATE};
use super::{Clip, Hardware, Partials, SttError, Transcribe, Transcript, WarmFigures, cores, hallucinations, voiced};
use crate::clock::Mono;
use crate::config::{Language, SttSettings};
use crate::models::WhisperModel;

/// A handle to the thread that holds the warm model. Clones share it; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct Whisper {
    thread: Arc<Thread>,
}

#[derive(Debug)]
struct Thread {
    name: String,
    warm: WarmFigures,
    hardware: Hardware,
    partials: Partials,
    jobs: Option<mpsc::Sender<Job>>,
    handle: Option<JoinHandle<()>>,
}

struct Job {
    clip: Clip,
    cancel: CancellationToken,
    reply: oneshot::Sender<Result<Transcript, SttError>>,
}

impl Whisper {
    /// Loads the model on a thread of its own and warms it by two inferences. Blocking, for as long as that takes.
    /// `listen`: one language is fixed, of several one is detected in each clip.
    pub fn start(settings: &SttSettings, model: WhisperModel, listen: &[Language]) -> Result<Whisper, SttError> {
        if let Some(unknown) = listen.iter().find(|language| !model.languages.contains(language)) {
            return Err(SttError::Language { model: model.name, language: unknown.code() });
        }
        let threads = settings.threads.map_or_else(cores::threads, |n| usize::from(n).max(1));
        let gpu = settings.gpu && cfg!(feature = "cuda");
        let name = model.name.clone();
        let listen = listen.to_vec();
        let (ready, started) = mpsc::sync_channel(1);
        let (jobs, queue) = mpsc::channel();
        let handle = std::thread::Builder::new()
            .name("whisper".into())
            .spawn(move || {
                let (warmed, hardware) = Hardware::heard_while(|| warm(&model, threads, gpu, &listen));
                let mut engine = match warmed {
                    Ok((engine, figures)) => {
                        let _ = ready.send(Ok((figures, hardware)));
                        engine
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                for job in queue {
                    serve(&mut engine, &listen, job);
                }
            })
            .map_err(|_| SttError::Gone)?;
        let (warm, hardware) = started.recv().map_err(|_| SttError::Gone)??;
        let partials = if settings.incremental { Partials::measured(warm.second) } else { Partials::Off };
        log::info!(
            "whisper {name}: {threads} threads, loaded in {:?}, first inference {:?}, second {:?}; it hears {partials}",
            warm.load,
            warm.first,
            warm.second
        );
        Ok(Whisper {
            thread: Arc::new(Thread { name, warm, hardware, partials, jobs: Some(jobs), handle: Some(handle) }),
        })
    }

    /// Hears a clip. The work is queued by this call, not by the first poll. Cancelling ends the wait at once, and the
    /// work at its next step (after the encoder, or the next token); dropping the future does the same.
    pub fn transcribe(
        &self,
        clip: Clip,
        cancel: CancellationToken,
    ) -> impl Future<Output = Result<Transcript, SttError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let job = Job { clip, cancel: cancel.clone(), reply };
        // Where the thread has ended the job is dropped, and with it the reply: the answer says so.
        let _ = self.thread.jobs.as_ref().map(|jobs| jobs.send(job));
        async move {
            tokio::select! {
                biased;
                answer = answer => answer.unwrap_or(Err(SttError::Gone)),
                () = cancel.cancelled() => Err(SttError::Cancelled),
            }
        }
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.thread.name
    }

    /// What the start cost.
    pub fn warm(&self) -> WarmFigures {
        self.thread.warm
    }

    /// Where it computes, by whisper.cpp's own words.
    pub fn hardware(&self) -> &Hardware {
        &self.thread.hardware
    }
}

impl Transcribe for Whisper {
    fn transcribe(&self, clip: Clip, cancel: CancellationToken) -> BoxFuture<'static, Result<Transcript, SttError>> {
        Box::pin(Whisper::transcribe(self, clip, cancel))
    }

    fn name(&self) -> &str {
        Whisper::name(self)
    }

    fn partials(&self) -> Partials {
        self.thread.partials
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The queue ends, and the thread with it. Waiting for it keeps a model from being torn down by the end of the
        // process while it computes.
        self.jobs = None;
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

/// Loads the model and runs it twice.
fn warm(
    model: &WhisperModel,
    threads: usize,
    gpu: bool,
    listen: &[Language],
) -> Result<(Engine, WarmFigures), SttError> {
    let start = Mono::now();
    let mut engine = Engine::load(model, threads, gpu, listen)?;
    let load = Mono::now().since(start);
    let mut run = |seconds: usize| {
        let start = Mono::now();
        // A buzz of 125 Hz: any sound will do, what is made of it is dropped.
        let buzz: Vec<f32> = (0..seconds * RATE).map(|n| (n % 128) as f32 / 640.0 - 0.1).collect();
        let longest = engine.longest();
        engine.hear(&buzz[..buzz.len().min(longest)], None, &|| false).map(|_| Mono::now().since(start))
    };
    let unusable = |error: SttError| match error {
        SttError::Inference(fault) => SttError::Load { path: model.path.clone(), fault },
        other => other,
    };
    // The longest first, so that nothing grows later; a GPU's memory and plans do, up to the whole window.
    let first = run(if gpu { 30 } else { 10 }).map_err(unusable)?;
    let second = run(2).map_err(unusable)?;
    Ok((engine, WarmFigures { load, first, second }))
}

fn serve(engine: &mut Engine, listen: &[Language], job: Job) {
    let Job { mut clip, cancel, reply } = job;
    let start = Mono::now();
    // A resampler overshoots full scale, which earshot refuses; what is no number would spread through the model.
    for sample in &mut clip.samples {
        *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
    }
    let heard = hear(engine, listen, &clip, &|| cancel.is_cancelled() || reply.is_closed());
    let finished = Mono::now();
    let answer = heard.map(|(text, language, audio_ctx)| Transcript {
        text,
        language,
        compute: finished.since(start),
        audio: Duration::from_secs_f64(clip.samples.len() as f64 / RATE as f64),
        audio_ctx,
        finished,
    });
    // Nobody waits for the answer any more: it is forgotten.
    let _ = reply.send(answer);
}

/// Text, language and longest encoder context of a clip of any length.
fn hear(
    engine: &mut Engine,
    listen: &[Language],
    clip: &Clip,
    stop: &dyn Fn() -> bool,
) -> Result<(String, Language, u32), SttError> {
    let samples = &clip.samples;
    let (mut texts, mut language, mut audio_ctx) = (Vec::new(), clip.language, 0);
    if let Some(range) = voiced::speech(samples) {
        let speech = &samples[range];
        for window in voiced::windows(speech, engine.longest()) {
            let heard = engine.hear(&speech[window], language, stop)?;
            audio_ctx = audio_ctx.max(heard.audio_ctx);
            let text = hallucinations::said(&heard);
            if !text.is_empty() {
                // Detected once: the first words decide for the whole clip.
                language = language.or(Some(heard.language));
                texts.push(text);
            }
        }
    }
    if stop() {
        return Err(SttError::Cancelled);
    }
    let silent = listen.first().copied().unwrap_or(Language::En);
    Ok((texts.join(" "), language.unwrap_or(silent), audio_ctx))
}
