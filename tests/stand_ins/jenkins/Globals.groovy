// What a Jenkinsfile finds outside of any block: pipeline, params, env, and the steps
abstract class Globals extends Script {
    Build getBuild() { binding.getVariable('build') }

    def pipeline(Closure body) {
        // all of it first, with nothing done: Jenkins, too, refuses a file before it runs any of it
        build.dry = true
        new Declarative(build, this).run(body)
        build.dry = false
        new Declarative(build, this).run(body)
        build.note(result: build.result)
    }

    def getEnv() { build.env }

    def getParams() { build.parameters }

    def methodMissing(String name, arguments) {
        if (!build.steps.metaClass.respondsTo(build.steps, name)) {
            throw new Refused("no step or function is called $name")
        }
        build.steps.invokeMethod(name, arguments)
    }
}
