//! The handle to Smart Turn v3 and the thread behind it.
//!
//! The network has one input, `input_features` (1 × 80 × 800, [`super::mel`]), and one output, which is called `logits`
//! and is none: its last layer is a sigmoid.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ort::session::Session;
use ort::value::{Tensor, ValueType};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::mel::{FRAMES, MELS, Mel, SAMPLES};
use super::{Prosody, ProsodyError};
use crate::clock::Mono;
use crate::config::Provider;
use crate::models::TurnModel;
use crate::onnx::{self, Stop, one_line};

const INPUT: &str = "input_features";
/// Whisper and the voice come first: where they need every core, this verdict comes too late, and the words alone decide.
const NICE: i32 = 10;

/// A handle to the thread that holds the warm model. Clones share it; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct SmartTurn {
    thread: Arc<Thread>,
}

#[derive(Debug)]
struct Thread {
    run: Duration,
    jobs: Option<mpsc::Sender<Job>>,
    handle: Option<JoinHandle<()>>,
}

struct Job {
    sound: Vec<f32>,
    reply: oneshot::Sender<Result<f32, ProsodyError>>,
    stop: Arc<Stop>,
}

/// Ends the run of whoever does not wait any more.
struct EndOnDrop(Arc<Stop>);

struct Engine {
    mel: Mel,
    session: Session,
}

impl SmartTurn {
    /// Loads the model on a thread of its own and warms it by two runs, on one core of the CPU. `onnxruntime`: the
    /// library, see `tts.onnxruntime`. Blocking; logs the figures.
    pub fn start(model: TurnModel, onnxruntime: Option<&Path>) -> Result<SmartTurn, ProsodyError> {
        let environment = onnx::environment(onnxruntime).map_err(ProsodyError::Runtime)?;
        let (ready, started) = mpsc::sync_channel(1);
        let (jobs, queue) = mpsc::channel::<Job>();
        let name = model.name.clone();
        let work = move || {
            let nice = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
            if let Err(error) = nice {
                log::debug!("the turn model keeps its priority: {error}");
            }
            let warm = Engine::load(&environment, &model.onnx)
                .and_then(|mut engine| Ok((engine.warm()?, engine)))
                .map_err(|fault| ProsodyError::Model { path: model.onnx, fault });
            let mut engine = match warm {
                Ok((run, engine)) => {
                    let _ = ready.send(Ok(run));
                    engine
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            for Job { sound, reply, stop } in queue {
                if !reply.is_closed() {
                    let answer = engine.finished(&sound, &stop).map_err(ProsodyError::Inference);
                    // Nobody waits for one that was dropped.
                    let _ = reply.send(answer);
                }
            }
        };
        let spawned = std::thread::Builder::new().name("prosody".into()).spawn(work);
        let handle = spawned.map_err(|_| ProsodyError::Gone)?;
        let run = started.recv().map_err(|_| ProsodyError::Gone)??;
        log::info!("turn model {name} ready on the CPU, one thread: {:.0} ms a run", run.as_secs_f64() * 1e3);
        Ok(SmartTurn { thread: Arc::new(Thread { run, jobs: Some(jobs), handle: Some(handle) }) })
    }

    /// What a run takes, measured at the start.
    pub fn run(&self) -> Duration {
        self.thread.run
    }
}

impl Prosody for SmartTurn {
    fn finished(&self, sound: Vec<f32>) -> BoxFuture<'static, Result<f32, ProsodyError>> {
        let (reply, answer) = oneshot::channel();
        let stop = Stop::on(CancellationToken::new());
        // Where the thread has ended the job is dropped, and with it the reply: the answer says so.
        let _ = self.thread.jobs.as_ref().map(|jobs| jobs.send(Job { sound, reply, stop: stop.clone() }));
        let end = EndOnDrop(stop);
        Box::pin(async move {
            let _end = end;
            answer.await.unwrap_or(Err(ProsodyError::Gone))
        })
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The queue ends, and the thread with it: a session must not outlive the process's own end.
        self.jobs = None;
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            log::error!("the turn model's thread panicked");
        }
    }
}

impl Engine {
    fn load(environment: &ort::environment::Environment, path: &Path) -> Result<Self, String> {
        let (session, _) = onnx::session(environment, path, Some(1), Provider::Cpu, None)?;
        let [input] = session.inputs() else {
            return Err(format!("it has {} inputs instead of {INPUT} alone", session.inputs().len()));
        };
        let fits = |size: &i64, want: usize| *size < 0 || usize::try_from(*size) == Ok(want);
        match input.dtype() {
            ValueType::Tensor { shape, .. }
                if input.name() == INPUT
                    && matches!(&shape[..], [batch, mels, frames]
                        if fits(batch, 1) && fits(mels, MELS) && fits(frames, FRAMES)) => {}
            other => {
                return Err(format!("its input {} is {other}, not {INPUT} of 1 x {MELS} x {FRAMES}", input.name()));
            }
        }
        Ok(Self { mel: Mel::new(), session })
    }

    /// Two runs; what the second one took.
    fn warm(&mut self) -> Result<Duration, String> {
        // A buzz of 125 Hz: any sound will do, what is made of it is dropped.
        let buzz: Vec<f32> = (0..SAMPLES).map(|n| (n % 128) as f32 / 640.0 - 0.1).collect();
        self.finished(&buzz, &Stop::default())?;
        let from = Mono::now();
        self.finished(&buzz, &Stop::default())?;
        Ok(from.elapsed())
    }

    fn finished(&mut self, sound: &[f32], stop: &Stop) -> Result<f32, String> {
        let features = self.mel.features(sound).map_err(one_line)?;
        let options = stop.begin().map_err(one_line)?;
        let input = Tensor::from_array(([1, MELS, FRAMES], features)).map_err(one_line)?;
        let outputs = self.session.run_with_options(ort::inputs![INPUT => input], &*options).map_err(one_line)?;
        let (_, numbers) = outputs
            .values()
            .next()
            .ok_or("it has no output")?
            .try_extract_tensor::<f32>()
            .map(|(shape, numbers)| (shape.clone(), numbers.to_vec()))
            .map_err(one_line)?;
        match numbers[..] {
            [probability] if (0.0..=1.0).contains(&probability) => Ok(probability),
            ref other => Err(format!("it gives {:?} instead of one probability", &other[..other.len().min(3)])),
        }
    }
}
