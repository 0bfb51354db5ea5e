import AnomalyScoring
import ConvNets
import TensorKernels

extension WeightPrecision {
    /// The weights as they will be stored: unchanged for `float32`, each rounded to the nearest half for `float16`.
    ///
    /// To be applied before anything is measured with the weights. A weight beyond ±65,504, which only a diverged
    /// training has, becomes infinite and is refused when the model is saved.
    public func rounded(_ parameters: ParameterSet) -> ParameterSet {
        switch self {
        case .float32: return parameters
        case .float16:
            var rounded = parameters
            for index in 0..<rounded.count {
                rounded[index] = Tensor(
                    shape: parameters[index].shape, values: parameters[index].values.map { Float(Float16($0)) })
            }
            return rounded
        }
    }

    var elementType: ElementType {
        switch self {
        case .float32: .float32
        case .float16: .float16
        }
    }
}
