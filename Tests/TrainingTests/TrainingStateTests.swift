import ConvNets
import Foundation
import Imaging
import TensorKernels
import Testing

@testable import Training

@Suite struct TrainingStateTests {
    private let images = ModelImage.pictures(0..<3)

    /// What a checkpoint keeps: the record as JSON text, the tensors by name.
    private func stored(_ state: TrainingState) throws -> (record: TrainingState.Record, tensors: [String: Tensor]) {
        let text = try JSONEncoder().encode(state.record)
        return (
            try JSONDecoder().decode(TrainingState.Record.self, from: text),
            Dictionary(uniqueKeysWithValues: state.tensors)
        )
    }

    private func restored(_ state: TrainingState, settings: TrainingSettings) throws -> TrainingState {
        let (record, tensors) = try stored(state)
        var fresh = try Narrow.state(settings: settings)
        try fresh.restore(record, tensors: tensors)
        return fresh
    }

    /// With three pictures: before anything, inside an epoch, at its end, inside the next.
    @Test(arguments: [0, 1, 3, 4])
    func stoppingChangesNothing(stop: Int) throws {
        var settings = TrainingSettings()
        // The learning rate drops at step 5, behind every stop.
        settings.iterations = 6
        var run = try Narrow.run(settings: settings, images: images)
        for _ in 0..<stop { _ = run.step() }
        var resumed = try Narrow.run(
            settings: settings, images: images, state: try restored(run.state, settings: settings))
        #expect(resumed.state.isIdentical(to: run.state))

        for step in stop..<7 { #expect(run.step() == resumed.step(), "step \(step)") }
        #expect(resumed.state.isIdentical(to: run.state))
        #expect(resumed.state.iteration == 7)
    }

    @Test func aMovedEndIsKept() throws {
        var run = try Narrow.run(images: images)
        run.finish(at: 12)
        #expect(try restored(run.state, settings: run.settings).schedule == run.state.schedule)
    }

    @Test func everyWeightAndMomentHasAName() throws {
        let state = try Narrow.state(settings: TrainingSettings())
        let names = state.tensors.map(\.name)
        #expect(names.count == 3 * (8 + 28) && Set(names).count == names.count)
        #expect(names.contains("student.conv1.weight"))
        #expect(names.contains("student.second_moment.conv4.bias"))
        #expect(names.contains("autoencoder.first_moment.encoder.enconv6.weight"))
    }

    @Test func oneNumberThatIsNoneMakesTheStateUnfit() throws {
        let (record, tensors) = try stored(Narrow.state(settings: TrainingSettings()))
        var state = try Narrow.state(settings: TrainingSettings())
        #expect(state.isFinite)
        for name in ["student.conv3.weight", "autoencoder.second_moment.decoder.deconv8.bias"] {
            for damage in [Float.nan, .infinity] {
                var damaged = tensors
                damaged[name]?.values[0] = damage
                try state.restore(record, tensors: damaged)
                #expect(!state.isFinite, "\(damage) in \(name)")
            }
        }
    }

    @Test func aMissingTensorIsNamed() throws {
        let (record, tensors) = try stored(Narrow.state(settings: TrainingSettings()))
        for name in tensors.keys {
            var incomplete = tensors
            incomplete[name] = nil
            var fresh = try Narrow.state(settings: TrainingSettings())
            #expect(throws: TrainingStateError.missingTensor(name)) { try fresh.restore(record, tensors: incomplete) }
        }
    }

    @Test func aTensorOfAnotherShapeIsNamed() throws {
        let (record, tensors) = try stored(Narrow.state(settings: TrainingSettings()))
        for (name, tensor) in tensors {
            var misshapen = tensors
            misshapen[name] = Tensor(shape: [tensor.count, 1, 1], values: tensor.values)
            var fresh = try Narrow.state(settings: TrainingSettings())
            let expected = TrainingStateError.wrongShape(
                name, found: [tensor.count, 1, 1], expected: tensor.shape)
            #expect(throws: expected) { try fresh.restore(record, tensors: misshapen) }
        }
    }

    /// The public way in takes the published widths and nothing else.
    @Test func narrowNetworksAreNotTheProgramsOwn() throws {
        let (record, tensors) = try stored(Narrow.state(settings: TrainingSettings()))
        let expected = TrainingStateError.wrongShape(
            "student.conv1.weight", found: [5, 3, 4, 4], expected: [128, 3, 4, 4])
        #expect(throws: expected) {
            try TrainingState(record: record, tensors: tensors, settings: TrainingSettings())
        }
    }

    @Test func aRecordThatCannotBeTrueIsRefused() throws {
        let state = try Narrow.state(settings: TrainingSettings())
        var (record, tensors) = try stored(state)
        record.iteration = -1
        var fresh = state
        #expect(throws: TrainingStateError.negativeIteration(-1)) { try fresh.restore(record, tensors: tensors) }
    }

    @Test(arguments: [3, -1, .max])
    func aPictureThatDoesNotExistIsRefused(index: Int) throws {
        var (record, tensors) = try stored(Narrow.state(settings: TrainingSettings()))
        record.unseenInThisEpoch = [0, index, 2]
        var state = try Narrow.state(settings: TrainingSettings())
        try state.restore(record, tensors: tensors)
        #expect(throws: TrainingStateError.unknownPicture(index, count: 3)) {
            try Narrow.run(images: images, state: state)
        }
    }

    @Test func theErrorsSayWhatToDo() {
        #expect(
            TrainingStateError.unknownPicture(7, count: 3).description
                == "the checkpoint waits for picture 7 of 3; it was made with other pictures: train anew")
        #expect(
            TrainingStateError.wrongShape("student.conv1.bias", found: [5], expected: [128]).description
                == "the checkpoint's tensor 'student.conv1.bias' has shape [5], expected [128]")
    }
}
