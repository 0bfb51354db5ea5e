import AnomalyScoring
import Archive
import TensorKernels

/// A detector from a model file that has proved itself, with the identity of the file.
struct LoadedDetector {
    let detector: AnomalyDetector
    let sha256: String

    var model: AnomalyModel { detector.model }

    /// Loads, checks and self-tests a model.
    init(path: String, threads: Int) throws {
        let loaded = try ModelFile.load(path)
        sha256 = loaded.sha256
        do {
            detector = try AnomalyDetector(model: loaded.model, threads: threads)
            try detector.runSelfTest()
        } catch {
            throw Failure("model '\(path)' is refused: \(error)", .unusableInput)
        }
    }
}
