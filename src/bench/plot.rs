//! The picture of `--plot`: the median wait against the false cut-offs, one point for each wait that ends a turn: with the
//! words `endpoint.silence_min`, by silence alone `endpoint.silence`.
//!
//! The letters are a bitmap font inside the program, so that it needs no font of the system.

use std::convert::Infallible;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use embedded_graphics::mono_font::ascii::{FONT_9X15, FONT_9X15_BOLD};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};

use super::{BenchError, Curve, Mode, Report, ears};

const WIDTH: u32 = 960;
const HEIGHT: u32 = 600;
/// The axes' rectangle.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 870.0;
const TOP: f64 = 120.0;
const BOTTOM: f64 = 530.0;

const PAPER: Rgb888 = Rgb888::WHITE;
const INK: Rgb888 = Rgb888::new(0x22, 0x22, 0x22);
const GRID: Rgb888 = Rgb888::new(0xdd, 0xdd, 0xdd);
const CURVE: Rgb888 = Rgb888::new(0x2f, 0x6f, 0xb0);
const ALONE: Rgb888 = Rgb888::new(0x99, 0x99, 0x99);
const MEASURED: Rgb888 = Rgb888::new(0xd9, 0x50, 0x1b);

/// Pixels in memory, three bytes each.
struct Canvas(Vec<u8>);

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(WIDTH, HEIGHT)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            if self.bounding_box().contains(at) {
                let first = (at.y as usize * WIDTH as usize + at.x as usize) * 3;
                if let Some(bytes) = self.0.get_mut(first..first + 3) {
                    bytes.copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
                }
            }
        }
        Ok(())
    }
}

/// An axis from its least value to its greatest, in pixels.
struct Axis {
    low: f64,
    step: f64,
    ticks: usize,
    from: f64,
    to: f64,
}

impl Axis {
    /// Round numbers around the values, at most ten of them.
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let wide = (high - low).max(1.0);
        let power = 10f64.powf((wide / 9.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0, 20.0].map(|n| n * power).into_iter().find(|step| wide / step <= 8.0);
        let step = step.unwrap_or(wide);
        let low = (low / step).floor() * step;
        let ticks = ((high - low) / step).ceil().max(1.0) as usize;
        Axis { low, step, ticks, from, to }
    }

    fn place(&self, value: f64) -> i32 {
        (self.from + (value - self.low) / (self.step * self.ticks as f64) * (self.to - self.from)).round() as i32
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (0..=self.ticks).map(|n| self.low + self.step * n as f64)
    }
}

/// Writes the picture of a curve as PNG, with the report's own measured point.
///
/// # Errors
/// [`BenchError::Write`]
pub fn write(curve: &Curve, report: &Report, path: &Path) -> Result<(), BenchError> {
    let fault = |fault: String| BenchError::Write { path: path.to_owned(), fault };
    let canvas = draw(curve, report);
    let file = File::create(path).map_err(|error| fault(error.to_string()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&canvas.0)?;
        writer.finish()
    });
    written.map_err(|error| fault(error.to_string()))
}

fn draw(curve: &Curve, report: &Report) -> Canvas {
    let endpoint = report.modes.get(&Mode::Endpoint);
    let measured = endpoint.and_then(|figures| {
        let wait = figures.stages.get("total_perceived_ms")?.p50;
        Some((figures.counts.get("false_cut_offs")? * 100.0, wait))
    });
    let place = |point: &ears::Point| (point.false_cut_offs * 100.0, curve.total_ms(point.endpoint_ms));
    let all = || curve.by_words.iter().chain(&curve.by_silence).map(place).chain(measured);
    let x = Axis::around(all().map(|(cut, _)| cut).chain([0.0]), LEFT, RIGHT);
    let y = Axis::around(all().map(|(_, wait)| wait), BOTTOM, TOP);
    let at = |(cut, wait): (f64, f64)| Point::new(x.place(cut), y.place(wait));

    let mut canvas = Canvas(vec![0xff; (WIDTH * HEIGHT * 3) as usize]);
    let to = &mut canvas;
    axes(to, &x, &y);
    text(
        to,
        "The wait against false cut-offs, by the silence that ends a turn",
        (LEFT as i32, 18),
        &FONT_9X15_BOLD,
        Alignment::Left,
    );
    let how = format!(
        "lines: {} pauses, {} whole sentences, replayed; sound ready after {:.0} ms, + {:.0} ms",
        curve.pauses, curve.sentences, curve.ready_ms, curve.rest_ms
    );
    text(to, &how, (LEFT as i32, 40), &FONT_9X15, Alignment::Left);
    for (points, colour) in [(&curve.by_silence, ALONE), (&curve.by_words, CURVE)] {
        for pair in points.windows(2) {
            if let [from, to_point] = pair {
                line(to, at(place(from)), at(place(to_point)), colour, 2);
            }
        }
        for point in points {
            let here = at(place(point));
            dot(to, here, 9, colour);
            if point.wait_ms % 100 == 0 {
                text(to, &point.wait_ms.to_string(), (here.x + 8, here.y - 18), &FONT_9X15, Alignment::Left);
            }
        }
    }
    for (left, colour, what) in [(440, CURVE, "with the words"), (620, ALONE, "silence alone")] {
        dot(to, Point::new(LEFT as i32 + left, 68), 9, colour);
        text(to, what, (LEFT as i32 + left + 12, 60), &FONT_9X15, Alignment::Left);
    }
    if let Some(place) = measured {
        dot(to, at(place), 13, MEASURED);
        let said = format!("dot: whole turns, measured ({} to {} ms)", curve.measured_ms[0], curve.measured_ms[1]);
        dot(to, Point::new(LEFT as i32 + 6, 68), 13, MEASURED);
        text(to, &said, (LEFT as i32 + 20, 60), &FONT_9X15, Alignment::Left);
    }
    canvas
}

fn axes(to: &mut Canvas, x: &Axis, y: &Axis) {
    let (left, right, top, bottom) = (LEFT as i32, RIGHT as i32, TOP as i32, BOTTOM as i32);
    for value in x.ticks() {
        let at = x.place(value);
        line(to, Point::new(at, top), Point::new(at, bottom), GRID, 1);
        text(to, &format!("{value:.0} %"), (at, bottom + 8), &FONT_9X15, Alignment::Center);
    }
    for value in y.ticks() {
        let at = y.place(value);
        line(to, Point::new(left, at), Point::new(right, at), GRID, 1);
        text(to, &format!("{value:.0}"), (left - 8, at - 7), &FONT_9X15, Alignment::Right);
    }
    line(to, Point::new(left, top), Point::new(left, bottom), INK, 1);
    line(to, Point::new(left, bottom), Point::new(right, bottom), INK, 1);
    text(to, "false cut-offs", (right, bottom + 32), &FONT_9X15, Alignment::Right);
    text(to, "median wait, ms", (8, top - 26), &FONT_9X15, Alignment::Left);
}

fn line(to: &mut Canvas, from: Point, until: Point, colour: Rgb888, width: u32) {
    let Ok(()) = Line::new(from, until).into_styled(PrimitiveStyle::with_stroke(colour, width)).draw(to);
}

fn dot(to: &mut Canvas, centre: Point, diameter: u32, colour: Rgb888) {
    let Ok(()) = Circle::with_center(centre, diameter).into_styled(PrimitiveStyle::with_fill(colour)).draw(to);
}

/// Text on paper of its own, so that a line under it does not cross it out.
fn text(to: &mut Canvas, text: &str, at: (i32, i32), font: &MonoFont<'_>, alignment: Alignment) {
    let style = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
    let text = Text::with_text_style(text, Point::new(at.0, at.1), MonoTextStyle::new(font, INK), style);
    let area: Rectangle = text.bounding_box();
    let Ok(()) = area.into_styled(PrimitiveStyle::with_fill(PAPER)).draw(to);
    let Ok(_) = text.draw(to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::{Figure, ModeFigures};

    fn report() -> (Curve, Report) {
        let points = |fewer: u64| {
            let point = |n: u64| ears::Point {
                wait_ms: n * 50,
                false_cut_offs: (20 - n) as f64 / (16 * fewer) as f64,
                endpoint_ms: n as f64 * 50.0 + 20.0,
                endpoint_p95_ms: n as f64 * 50.0 + 40.0,
            };
            (4..=20).map(point).collect()
        };
        let curve = Curve {
            by_words: points(8),
            by_silence: points(1),
            pauses: 200,
            sentences: 40,
            ready_ms: 630.0,
            rest_ms: 10.0,
            measured_ms: [300, 700],
        };
        let mut endpoint = ModeFigures::default();
        endpoint.stages.insert("total_perceived_ms".into(), Figure { n: 20, p50: 1_250.0, ..Figure::default() });
        endpoint.counts.insert("false_cut_offs".into(), 0.33);
        (curve, Report { modes: [(Mode::Endpoint, endpoint)].into(), ..Report::default() })
    }

    #[test]
    fn the_picture_has_the_curve_the_measured_point_and_letters() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curve.png");
        let (curve, report) = report();
        write(&curve, &report, &path).unwrap();
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let count = |colour: Rgb888| {
            pixels.as_chunks::<3>().0.iter().filter(|p| **p == [colour.r(), colour.g(), colour.b()]).count()
        };
        // Seventeen dots of some 60 pixels and the lines between; two of some 130; and letters.
        assert!(count(CURVE) > 1_000 && count(MEASURED) > 200 && count(INK) > 2_000);
    }

    #[test]
    fn an_axis_has_round_numbers_and_holds_every_value() {
        for (low, high) in [(0.0, 0.0), (0.0, 100.0), (731.0, 1_530.0), (421.0, 1_221.5), (3.0, 3.5)] {
            let axis = Axis::around([low, high].into_iter(), 0.0, 100.0);
            assert!((0..=100).contains(&axis.place(low)) && (0..=100).contains(&axis.place(high)), "{low} {high}");
            assert!((2..=11).contains(&axis.ticks().count()) && axis.step <= (high - low).max(1.0), "{low} {high}");
        }
    }
}
